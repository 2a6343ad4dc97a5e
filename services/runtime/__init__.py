"""The async floor: how one of our processes lives, talks, watches and works off keys."""
