package est

// ParseUsual is for tests that compare it with crypto/x509.
var ParseUsual = parseUsual
