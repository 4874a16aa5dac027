"""Call the Dapr sidecar."""
