"""Call Google's APIs."""
