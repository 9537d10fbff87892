package sbom

// Compare is compare.
var Compare = compare
