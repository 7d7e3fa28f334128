"""What every service needs and none owns: no business words here except in contracts/."""
