"""Services, endpoints, ingresses and policies of traffic."""
