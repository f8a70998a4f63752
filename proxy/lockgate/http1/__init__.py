"""HTTP/1.1 heads, framing and grammar, for requests and responses (RFC 9110, RFC 9112). Pure."""
