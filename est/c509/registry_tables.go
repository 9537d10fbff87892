package c509

// attributes is the registry of RDN attributes (§8.6).
var attributes = registry{
	{0, "2a864886f70d010901"},      // emailAddress 1.2.840.113549.1.9.1
	{1, "550403"},                  // commonName 2.5.4.3
	{2, "550404"},                  // surname 2.5.4.4
	{3, "550405"},                  // serialNumber 2.5.4.5
	{4, "550406"},                  // countryName 2.5.4.6
	{5, "550407"},                  // localityName 2.5.4.7
	{6, "550408"},                  // stateOrProvinceName 2.5.4.8
	{7, "550409"},                  // streetAddress 2.5.4.9
	{8, "55040a"},                  // organizationName 2.5.4.10
	{9, "55040b"},                  // organizationalUnitName 2.5.4.11
	{10, "55040c"},                 // title 2.5.4.12
	{11, "55040f"},                 // businessCategory 2.5.4.15
	{12, "550411"},                 // postalCode 2.5.4.17
	{13, "55042a"},                 // givenName 2.5.4.42
	{14, "55042b"},                 // initials 2.5.4.43
	{15, "55042c"},                 // generationQualifier 2.5.4.44
	{16, "55042e"},                 // dnQualifier 2.5.4.46
	{17, "550441"},                 // pseudonym 2.5.4.65
	{18, "550461"},                 // organizationIdentifier 2.5.4.97
	{19, "2b0601040182373c020101"}, // jurisdictionLocalityName 1.3.6.1.4.1.311.60.2.1.1
	{20, "2b0601040182373c020102"}, // jurisdictionStateOrProvinceName 1.3.6.1.4.1.311.60.2.1.2
	{21, "2b0601040182373c020103"}, // jurisdictionCountryName 1.3.6.1.4.1.311.60.2.1.3
	{22, "0992268993f22c640119"},   // domainComponent 0.9.2342.19200300.100.1.25
	{25, "550429"},                 // name 2.5.4.41
	{26, "550414"},                 // telephoneNumber 2.5.4.20
	{27, "550436"},                 // dmdName 2.5.4.54
	{28, "0992268993f22c640101"},   // uid 0.9.2342.19200300.100.1.1
	{29, "2a864886f70d010902"},     // unstructuredName 1.2.840.113549.1.9.2
	{30, "2a864886f70d010908"},     // unstructuredAddress 1.2.840.113549.1.9.8
}

// requestAttributes is the registry of request attributes (§8.7).
var requestAttributes = registry{
	{0, "2a864886f70d01090e"},   // extensionRequest 1.2.840.113549.1.9.14
	{1, "2a864886f70d010907"},   // challengePassword 1.2.840.113549.1.9.7
	{2, "2b0601040181ac600201"}, // privateKeyPossessionStatement 1.3.6.1.4.1.22112.2.1
}

// policies is the registry of certificate policies (§8.9).
var policies = registry{
	{0, "551d2000"},                // anyPolicy 2.5.29.32.0
	{1, "67810c010201"},            // domain-validated 2.23.140.1.2.1
	{2, "67810c010202"},            // organization-validated 2.23.140.1.2.2
	{3, "67810c010203"},            // individual-validated 2.23.140.1.2.3
	{4, "67810c0101"},              // ev-guidelines 2.23.140.1.1
	{7, "2b06010505070e02"},        // id-cp-ipAddr-asNumber 1.3.6.1.5.5.7.14.2
	{8, "2b06010505070e03"},        // id-cp-ipAddr-asNumber-v2 1.3.6.1.5.5.7.14.3
	{24, "67811201020100"},         // id-rspRole-ci 2.23.146.1.2.1.0
	{25, "67811201020101"},         // id-rspRole-euicc-v2 2.23.146.1.2.1.1
	{26, "6781120102010000000000"}, // id-rspRole-euicc 2.23.146.1.2.1.0.0.0.0.0
	{27, "67811201020102"},         // id-rspRole-eum-v2 2.23.146.1.2.1.2
	{28, "678112010201000000"},     // id-rspRole-eum 2.23.146.1.2.1.0.0.0
	{29, "67811201020103"},         // id-rspRole-dp-tls-v2 2.23.146.1.2.1.3
	{30, "67811201020100000100"},   // id-rspRole-dp-tls 2.23.146.1.2.1.0.0.1.0
	{31, "67811201020104"},         // id-rspRole-dp-auth-v2 2.23.146.1.2.1.4
	{32, "67811201020100000101"},   // id-rspRole-dp-auth 2.23.146.1.2.1.0.0.1.1
	{33, "67811201020105"},         // id-rspRole-dp-pb-v2 2.23.146.1.2.1.5
	{34, "67811201020100000102"},   // id-rspRole-dp-pb 2.23.146.1.2.1.0.0.1.2
	{35, "67811201020106"},         // id-rspRole-ds-tls-v2 2.23.146.1.2.1.6
	{36, "67811201020100000200"},   // id-rspRole-ds-tls 2.23.146.1.2.1.0.0.2.0
	{37, "67811201020107"},         // id-rspRole-ds-auth-v2 2.23.146.1.2.1.7
	{38, "67811201020100000201"},   // id-rspRole-ds-auth 2.23.146.1.2.1.0.0.2.1
}

// qualifiers is the registry of policy qualifiers (§8.10).
var qualifiers = registry{
	{1, "2b06010505070201"}, // id-qt-cps 1.3.6.1.5.5.7.2.1
	{2, "2b06010505070202"}, // id-qt-unotice 1.3.6.1.5.5.7.2.2
}

// accesses is the registry of access methods (§8.11).
var accesses = registry{
	{1, "2b06010505073001"},  // id-ad-ocsp 1.3.6.1.5.5.7.48.1
	{2, "2b06010505073002"},  // id-ad-caIssuers 1.3.6.1.5.5.7.48.2
	{3, "2b06010505073003"},  // id-ad-timeStamping 1.3.6.1.5.5.7.48.3
	{5, "2b06010505073005"},  // id-ad-caRepository 1.3.6.1.5.5.7.48.5
	{10, "2b0601050507300a"}, // id-ad-rpkiManifest 1.3.6.1.5.5.7.48.10
	{11, "2b0601050507300b"}, // id-ad-signedObject 1.3.6.1.5.5.7.48.11
	{13, "2b0601050507300d"}, // id-ad-rpkiNotify 1.3.6.1.5.5.7.48.13
}

// usages is the registry of extended key usages (§8.12).
var usages = registry{
	{0, "551d2500"},              // anyExtendedKeyUsage 2.5.29.37.0
	{1, "2b06010505070301"},      // id-kp-serverAuth 1.3.6.1.5.5.7.3.1
	{2, "2b06010505070302"},      // id-kp-clientAuth 1.3.6.1.5.5.7.3.2
	{3, "2b06010505070303"},      // id-kp-codeSigning 1.3.6.1.5.5.7.3.3
	{4, "2b06010505070304"},      // id-kp-emailProtection 1.3.6.1.5.5.7.3.4
	{8, "2b06010505070308"},      // id-kp-timeStamping 1.3.6.1.5.5.7.3.8
	{9, "2b06010505070309"},      // id-kp-OCSPSigning 1.3.6.1.5.5.7.3.9
	{10, "2b060105020304"},       // id-pkinit-KPClientAuth 1.3.6.1.5.2.3.4
	{11, "2b060105020305"},       // id-pkinit-KPKdc 1.3.6.1.5.2.3.5
	{12, "2b06010505070315"},     // id-kp-secureShellClient 1.3.6.1.5.5.7.3.21
	{13, "2b06010505070316"},     // id-kp-secureShellServer 1.3.6.1.5.5.7.3.22
	{14, "2b06010505070323"},     // id-kp-bundleSecurity 1.3.6.1.5.5.7.3.35
	{15, "2b0601050507031b"},     // id-kp-cmcCA 1.3.6.1.5.5.7.3.27
	{16, "2b0601050507031c"},     // id-kp-cmcRA 1.3.6.1.5.5.7.3.28
	{17, "2b0601050507031d"},     // id-kp-cmcArchive 1.3.6.1.5.5.7.3.29
	{18, "2b06010505070320"},     // id-kp-cmKGA 1.3.6.1.5.5.7.3.32
	{19, "2b06010401d679020404"}, // Certificate Transparency 1.3.6.1.4.1.11129.2.4.4
	{20, "2b0601040182e42501"},   // id-kp-wisun-fan-device 1.3.6.1.4.1.45605.1
}

// signatures is the registry of signature algorithms (§8.14); the OID is a whole AlgorithmIdentifier.
var signatures = registry{
	{-256, "300d06092a864886f70d0101050500"}, // RSASSA-PKCS1-v1_5 with SHA-1
	{-255, "300906072a8648ce3d0401"},         // ECDSA with SHA-1
	{0, "300a06082a8648ce3d040302"},          // ECDSA with SHA-256
	{1, "300a06082a8648ce3d040303"},          // ECDSA with SHA-384
	{2, "300a06082a8648ce3d040304"},          // ECDSA with SHA-512
	{3, "300a06082b06010505070620"},          // ECDSA with SHAKE128
	{4, "300a06082b06010505070621"},          // ECDSA with SHAKE256
	{5, "300a06082b06010505070624"},          // Unsigned
	{8, "300a06082a811ccf55018375"},          // SM2 with SM3
	{12, "300506032b6570"},                   // Ed25519
	{13, "300506032b6571"},                   // Ed448
	{14, "300a06082b0601050507061a"},         // PoP with SHA-256 and HMAC-SHA256
	{15, "300a06082b0601050507061b"},         // PoP with SHA-384 and HMAC-SHA384
	{16, "300a06082b0601050507061c"},         // PoP with SHA-512 and HMAC-SHA512
	{23, "300d06092a864886f70d01010b0500"},   // RSASSA-PKCS1-v1_5 with SHA-256
	{24, "300d06092a864886f70d01010c0500"},   // RSASSA-PKCS1-v1_5 with SHA-384
	{25, "300d06092a864886f70d01010d0500"},   // RSASSA-PKCS1-v1_5 with SHA-512
	{26, "304106092a864886f70d01010a3034a00f300d06096086480165030402010500" +
		"a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120"}, // RSASSA-PSS with SHA-256
	{27, "304106092a864886f70d01010a3034a00f300d06096086480165030402020500" +
		"a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130"}, // RSASSA-PSS with SHA-384
	{28, "304106092a864886f70d01010a3034a00f300d06096086480165030402030500" +
		"a11c301a06092a864886f70d010108300d06096086480165030402030500a203020140"}, // RSASSA-PSS with SHA-512
	{29, "300a06082b0601050507061e"}, // RSASSA-PSS with SHAKE128
	{30, "300a06082b0601050507061f"}, // RSASSA-PSS with SHAKE256
}

// keys is the registry of public key algorithms (§8.15); the OID is a whole AlgorithmIdentifier.
var keys = registry{
	{0, "300d06092a864886f70d0101010500"},                  // RSA
	{1, "301306072a8648ce3d020106082a8648ce3d030107"},      // secp256r1
	{2, "301006072a8648ce3d020106052b81040022"},            // secp384r1
	{3, "301006072a8648ce3d020106052b81040023"},            // secp521r1
	{6, "301306072a8648ce3d020106082a811ccf5501822d"},      // sm2p256v1
	{8, "300506032b656e"},                                  // X25519 (Montgomery)
	{9, "300506032b656f"},                                  // X448 (Montgomery)
	{12, "300506032b6570"},                                 // Ed25519 (Twisted Edwards)
	{13, "300506032b6571"},                                 // Ed448 (Edwards)
	{24, "301406072a8648ce3d020106092b2403030208010107"},   // brainpoolP256r1
	{25, "301406072a8648ce3d020106092b240303020801010b"},   // brainpoolP384r1
	{26, "301406072a8648ce3d020106092b240303020801010d"},   // brainpoolP512r1
	{27, "301506072a8648ce3d0201060a2a817a01815f65820001"}, // FRP256v1
}
