"""Reading replies, qualifying, drafting answers, handing over to a person."""
