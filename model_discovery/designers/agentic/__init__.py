"""The agentic designer: LLM roles that propose, review, plan, write and judge, unit by unit."""
