"""Rows and a prompt in, a table of typed answers out, through the provider Batch APIs, at half the realtime price."""
