package sim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"time"

	"steward/cmd/internal/sim/nvm"
	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/transfer"
)

// journalKey is where the transfer's state stands in the memory.
const journalKey = "transfer"

// journal is the transfer's Journal.
type journal struct{ l *life }

// Load implements transfer.Journal.
func (j journal) Load() ([]byte, error) { return j.l.nv.Get(journalKey), nil }

// Save implements transfer.Journal.
func (j journal) Save(record []byte) error {
	if err := j.l.nv.Put(journalKey, record); err != nil {
		return j.l.written(err)
	}
	return nil
}

func newKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// boot starts the device from its memory.
func (d *Device) boot() (*life, error) {
	nv, err := nvm.Open(nvm.Options{Path: d.o.stateFile(d.b), NoSync: d.o.NoSync, PowerCut: d.o.PowerCut})
	if err != nil {
		return nil, err
	}
	l := &life{
		d: d, o: &d.o, nv: nv, wake: make(chan struct{}, 1), changed: make(chan struct{}), ticked: time.Now(),
	}
	if err := l.load(); err != nil {
		return nil, errors.Join(err, nv.Close())
	}
	return l, nil
}

func (l *life) load() (err error) {
	b := l.d.b
	if l.own, err = readFactory(b, l.nv.Get(factoryKey)); err != nil {
		return err
	}
	if l.rekeying, err = readRekeying(l.nv.Get(rekeyKey)); err != nil {
		return err
	}
	if err := l.provision(); err != nil {
		return err
	}
	l.links = &links{meters: l.d.meters, all: map[coap.Peer]*link{}}
	l.engine = coap.New(coap.Options{
		Handler: l, Params: coap.Params{AckTimeout: l.o.AckTimeout}, BlockSize: l.o.BlockSize,
		MaxBody: maxPackage, Log: l.o.Log, Trace: l.links.trace,
	})
	l.reports = newReports(l)
	if l.fw, err = newFirmware(l); err != nil {
		return err
	}
	l.tr, err = transfer.OpenDevice(transfer.DeviceOptions{
		Journal: journal{l}, FactoryKey: l.own.key, FactoryCertificate: l.own.chain[0], NewKey: newKey,
		Firmware: l.fw.installed,
	})
	if err != nil {
		return err
	}
	l.state = l.tr.Status().State
	l.battery, l.account = newBattery(l), newServerObject(l)
	l.cl, err = client.New(client.Options{
		Endpoint: lwm2m.Endpoint(b.Endpoint), Objects: l.objects(), Schema: l.d.schema, Engine: l.engine,
		Retry: l.o.RetryFirst, Failed: l.lost, Log: l.o.Log, Binding: l.o.binding(),
		Queue:    l.o.Queue,
		Patience: l.o.patience(),
	})
	return err
}

// provision writes what the factory put into the device, once.
func (l *life) provision() error {
	if l.nv.Get(journalKey) != nil {
		return nil
	}
	anchors, err := l.d.b.Truststore()
	if err != nil {
		return err
	}
	return transfer.Provision(journal{l}, l.d.b.Home(), anchors)
}
