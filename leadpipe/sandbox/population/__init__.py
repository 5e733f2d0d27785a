"""The people of the sandbox and the agents of its team: who they are, what they do by themselves, what they answer."""
