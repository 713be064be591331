"""What it costs: tokens, prices, estimates and bounds, and admission under budgets."""
