"""One module per way out: each makes one provider call for one message and says what certainly happened."""
