package web

import "time"

// An Inventory is what the CA has issued, in numbers.
type Inventory struct {
	At    time.Time            `json:"at"`
	Kinds Array[InventoryKind] `json:"kinds"`
	// Live certificates that end within 7, 30 and 90 days, each with those before.
	Ending7  int `json:"ending_7"`
	Ending30 int `json:"ending_30"`
	Ending90 int `json:"ending_90"`
	// Days says of each of the next 90 days how many live certificates end on it.
	Days   Array[int]              `json:"days"`
	Alerts Array[CertificateAlert] `json:"alerts"` // worst first
}

// An InventoryKind counts the certificates of one kind and profile.
type InventoryKind struct {
	Kind    string `json:"kind"`
	Profile string `json:"profile"`
	All     int    `json:"all"`
	Live    int    `json:"live"`
	Revoked int    `json:"revoked"`
	Daily   int    `json:"issued_1"`  // within a day
	Monthly int    `json:"issued_30"` // within 30
}

// Expired returns how many are neither live nor revoked.
func (k InventoryKind) Expired() int { return k.All - k.Live - k.Revoked }

// A CertificateAlert is a certificate of the provider's own that ends soon: no
// device renews it.
type CertificateAlert struct {
	Level       Level     `json:"level"`
	Certificate string    `json:"certificate"` // id
	Subject     string    `json:"subject"`
	Kind        string    `json:"kind"`
	NotAfter    time.Time `json:"not_after"`
	Days        int       `json:"days"` // that are left, rounded down
	Text        string    `json:"text"`
}
