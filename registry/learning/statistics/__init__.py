"""Statistics of scores and outcomes: what differs beyond noise, and by how much."""
