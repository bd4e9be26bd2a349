"""What every task on images begins with."""
