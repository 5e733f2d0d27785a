"""Who a lead is: identity, contact points, place and time zone."""
