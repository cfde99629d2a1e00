"""What sounds where and when: the prompt language, segments, tracks, and the formats that people keep them in."""
