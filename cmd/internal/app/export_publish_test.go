package app

import (
	"net/http"

	"steward/est"
)

// PKIHandler returns what serves relying parties.
func (a *App) PKIHandler() http.Handler { return a.publication.handler() }

// Restored returns what the database had forgotten.
func (a *App) Restored() est.Restored { return a.pki.restored }

// FileDB is the name of the database in the data directory.
const FileDB = fileDB

// Responder returns what answers for certificates.
func (a *App) Responder() *est.Responder { return a.publication.responder }

// Sum is the SHA-256 that names a certificate.
func Sum(der []byte) est.Hash { return sum(der) }

// ClientConns counts connections of HTTP listeners by certificates.
func (a *App) ClientConns() int {
	a.web.clients.mu.Lock()
	defer a.web.clients.mu.Unlock()
	return len(a.web.clients.open)
}
