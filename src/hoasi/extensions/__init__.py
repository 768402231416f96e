"""Extensions of the protocol, between doors and halls: tasks (SEP-2663) and skills (SEP-2640)."""
