"""What is paid: rule-based accuracy and format."""
