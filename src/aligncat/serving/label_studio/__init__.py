"""Label Studio's ML backend protocol: predictions for its tasks."""
