"""Parts of the CronJob controller: which starts were missed, and which Jobs are history."""
