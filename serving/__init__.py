"""What stands around a pushed model: a server for one's own machine, a client, exports, and TF Serving's settings."""
