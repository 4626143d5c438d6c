"""The stand-in cloud: what Slimreel needs of AWS, Google Drive and Airtable, on one laptop."""

REGION = "eu-west-1"
ACCOUNT_ID = "123456789012"
