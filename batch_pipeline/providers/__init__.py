"""Who answers: OpenAI and what speaks its protocol, the local server among them."""
