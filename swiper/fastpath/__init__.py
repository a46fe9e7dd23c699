"""What is not stock: own ways to the servers, in the place of the libraries' where these cost more."""
