"""Remote signing through the Cloud Signature Consortium's API, versions 1.0.4 and 2.0."""
