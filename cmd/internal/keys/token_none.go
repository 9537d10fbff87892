//go:build !cgo || nopkcs11

package keys

// PKCS11 says whether tokens can be used: without cgo their modules cannot be loaded.
const PKCS11 = false
