"""An AWS account of its own: SES v2 with events and inbound mail, SNS. Facts: messaging sheet 4 and 5."""
