"""What stands around a pushed model: a server for one's own machine, a client, exports, and TF Serving's settings."""

import os

# Else TensorFlow and gRPC tell of themselves on the screen, before the answer. Only the first import can say so.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
