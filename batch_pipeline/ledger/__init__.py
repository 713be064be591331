"""What was planned, sent, answered and paid: small, transactional, shared by many processes."""
