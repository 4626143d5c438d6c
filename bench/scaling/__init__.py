"""The deployed system on paper: a discrete-event simulation of it under the documented quotas."""
