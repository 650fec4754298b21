"""Evaluations: records, import, storage, leaderboard and export."""
