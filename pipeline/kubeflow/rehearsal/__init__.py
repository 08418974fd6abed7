"""A rehearsal of a compiled pipeline on this machine, without a cluster, and as strange as KFP is.

What KFP's driver, launcher and ML Metadata do to a task's inputs, outputs and cache is done here after their sources
(2.17; where older versions differ, `Version` says so). Argo and Kubernetes are stood in for by processes in an order.
"""
