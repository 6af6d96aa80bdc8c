"""Helpers of the rooms validate and loop: slots, conversation, schedules, selection, stopping."""
