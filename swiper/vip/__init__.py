"""VIP levels and permissions, orders, payments and flash sales."""
