"""Parts of the Job controller: who belongs to a Job, how it stands, what comes next."""
