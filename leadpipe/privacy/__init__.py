"""What a person may ask of us: everything held about them, its erasure, and that nothing is kept for ever."""
