"""The stand-in cloud: what Slimreel needs of AWS, Google Drive and Airtable, on one laptop."""

REGION = "eu-west-1"
ACCOUNT_ID = "123456789012"
#: The one key pair of the local account. It opens nothing anywhere else.
ACCESS_KEY_ID, SECRET_ACCESS_KEY = "test", "test"
