"""The Trainer as a job of many pods: the task makes the job, watches it and removes it; its pods train."""
