"""What plugin authors test their drivers with."""
