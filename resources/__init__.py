"""What assets and ops are given: thin wrappers that hand out the domain's own objects."""
