"""What a Deployment's rollout is made of: revisions, sizes, progress. All of it pure."""
