import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.engine.DefaultRegistrationEngineFactory;
import org.eclipse.leshan.client.object.LwM2mTestObject;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.observer.LwM2mClientObserverAdapter;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.resource.SimpleInstanceEnabler;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.CertificateUsage;
import org.eclipse.leshan.core.LwM2mId;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mDecoder;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mEncoder;
import org.eclipse.leshan.core.node.codec.LwM2mValueChecker;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.BootstrapRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.DeregisterRequest;
import org.eclipse.leshan.core.request.RegisterRequest;
import org.eclipse.leshan.core.request.UpdateRequest;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.util.datatype.ULong;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coap.CoapClientProtocolProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coaps.CoapsClientProtocolProvider;

/**
 * A device made of Eclipse Leshan's client. Arguments are name=value; commands come by stdin, one a line; what happens
 * is told on stdout, one event a line.
 */
public class Client {
    private static final int SHORT_ID = 123;

    private static void tell(String event, Object... more) {
        StringBuilder line = new StringBuilder("event ").append(event);
        for (Object m : more)
            line.append(' ').append(m);
        System.out.println(line);
        System.out.flush();
    }

    /** Device has values of each kind that the tests ask for. */
    public static class Device extends SimpleInstanceEnabler {
        public Device() {
            super(0, values());
        }

        private static Map<Integer, Object> values() {
            Map<Integer, Object> v = new HashMap<>();
            v.put(0, "Leshan Ltd");
            v.put(1, "Model 500");
            v.put(2, "LT-500");
            v.put(3, "1.0.0");
            v.put(9, 50L);
            v.put(11, new HashMap<>(Map.of(0, 0L)));
            v.put(13, new Date(1700000000000L));
            v.put(14, "+01");
            v.put(15, "Europe/Berlin");
            v.put(16, "U");
            return v;
        }

        void level(long percent) {
            write(LwM2mServer.SYSTEM, false, 9, LwM2mSingleResource.newIntegerResource(9, percent));
        }

        @Override
        public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
            tell("executed", "/3/0/" + resource, arguments.serialize());
            return ExecuteResponse.success();
        }
    }

    private static class Events extends LwM2mClientObserverAdapter {
        @Override
        public void onBootstrapSuccess(LwM2mServer server, BootstrapRequest request) {
            tell("bootstrapped", server.getUri());
        }

        @Override
        public void onBootstrapFailure(LwM2mServer server, BootstrapRequest request, ResponseCode code, String text,
                Exception cause) {
            tell("bootstrap-failed", code, text, cause);
        }

        @Override
        public void onRegistrationSuccess(LwM2mServer server, RegisterRequest request, String id) {
            tell("registered", server.getUri(), id);
        }

        @Override
        public void onRegistrationFailure(LwM2mServer server, RegisterRequest request, ResponseCode code, String text,
                Exception cause) {
            tell("register-failed", code, text, cause);
        }

        @Override
        public void onUpdateSuccess(LwM2mServer server, UpdateRequest request) {
            tell("updated", server.getUri());
        }

        @Override
        public void onUpdateFailure(LwM2mServer server, UpdateRequest request, ResponseCode code, String text,
                Exception cause) {
            tell("update-failed", code, text, cause);
        }

        @Override
        public void onUpdateTimeout(LwM2mServer server, UpdateRequest request) {
            tell("update-timeout");
        }

        @Override
        public void onDeregistrationSuccess(LwM2mServer server, DeregisterRequest request) {
            tell("deregistered");
        }

        @Override
        public void onUnexpectedError(Throwable error) {
            tell("error", error);
        }
    }

    private static byte[] certificate(String file) throws Exception {
        try (InputStream in = Files.newInputStream(Path.of(file))) {
            return CertificateFactory.getInstance("X.509").generateCertificate(in).getEncoded();
        }
    }

    private static Security security(Map<String, String> o, boolean bootstrap) throws Exception {
        String uri = o.get("uri");
        if (o.containsKey("identity")) {
            byte[] identity = o.get("identity").getBytes(StandardCharsets.UTF_8);
            byte[] key = HexFormat.of().parseHex(o.get("key"));
            return bootstrap ? Security.pskBootstrap(uri, identity, key) : Security.psk(uri, SHORT_ID, identity, key);
        }
        if (o.containsKey("certificate")) {
            byte[] own = certificate(o.get("certificate")), anchor = certificate(o.get("anchor"));
            byte[] key = Files.readAllBytes(Path.of(o.get("key")));
            ULong usage = CertificateUsage.TRUST_ANCHOR_ASSERTION.code;
            return bootstrap ? Security.x509Bootstrap(uri, own, key, anchor, usage)
                    : Security.x509(uri, SHORT_ID, own, key, anchor, usage);
        }
        return bootstrap ? Security.noSecBootstrap(uri) : Security.noSec(uri, SHORT_ID);
    }

    private static LeshanClient make(Map<String, String> o, Device device, List<ObjectModel> models) throws Exception {
        boolean bootstrap = o.containsKey("bootstrap");
        ObjectsInitializer objects = new ObjectsInitializer(new StaticModel(models));
        objects.setInstancesForObject(LwM2mId.SECURITY, security(o, bootstrap));
        if (bootstrap)
            objects.setClassForObject(LwM2mId.SERVER, Server.class);
        else
            objects.setInstancesForObject(LwM2mId.SERVER,
                    new Server(SHORT_ID, Long.parseLong(o.getOrDefault("lifetime", "300")), EnumSet.of(BindingMode.U),
                            false, BindingMode.U));
        objects.setInstancesForObject(LwM2mId.DEVICE, device);
        objects.setInstancesForObject(3442, new LwM2mTestObject());

        CaliforniumClientEndpointsProvider.Builder ends = new CaliforniumClientEndpointsProvider.Builder(
                new CoapClientProtocolProvider(), new CoapsClientProtocolProvider());
        Configuration configuration = ends.createDefaultConfiguration();
        if (o.containsKey("cid"))
            configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, Integer.parseInt(o.get("cid")));
        ends.setConfiguration(configuration);

        DefaultRegistrationEngineFactory engine = new DefaultRegistrationEngineFactory();
        engine.setRetryWaitingTimeInMs(1000);
        engine.setQueueMode(o.containsKey("queue"));
        if (o.containsKey("period"))
            engine.setCommunicationPeriod(Integer.parseInt(o.get("period")));
        LeshanClientBuilder builder = new LeshanClientBuilder(o.get("endpoint"));
        builder.setObjects(objects.createAll());
        builder.setEndpointsProviders(ends.build());
        builder.setRegistrationEngineFactory(engine);
        if (o.containsKey("formats"))
            only(builder, o.get("formats"), engine);
        return builder.build();
    }

    /** only takes away all formats but those given, as numbers. */
    private static void only(LeshanClientBuilder builder, String formats, DefaultRegistrationEngineFactory engine) {
        List<ContentFormat> kept = new ArrayList<>();
        for (String f : formats.split(","))
            kept.add(ContentFormat.fromCode(f));
        var nodes = DefaultLwM2mEncoder.getDefaultNodeEncoders(false);
        nodes.keySet().retainAll(kept);
        var paths = DefaultLwM2mEncoder.getDefaultPathEncoder();
        paths.keySet().retainAll(kept);
        builder.setEncoder(new DefaultLwM2mEncoder(nodes, paths,
                new LwM2mValueChecker()));
        var decoders = DefaultLwM2mDecoder.getDefaultNodeDecoders(false);
        decoders.keySet().retainAll(kept);
        var pathDecoders = DefaultLwM2mDecoder.getDefaultPathDecoder();
        pathDecoders.keySet().retainAll(kept);
        builder.setDecoder(new DefaultLwM2mDecoder(decoders, pathDecoders));
    }

    private static void obey(LeshanClient client, Device device, String[] words) throws Exception {
        switch (words[0]) {
        case "level":
            device.level(Long.parseLong(words[1]));
            return;
        case "update":
            client.triggerRegistrationUpdate();
            return;
        case "send":
            for (LwM2mServer server : client.getRegisteredServers().values())
                tell("sent", client.getSendService().sendData(server, ContentFormat.fromCode(words[1]),
                        Arrays.asList(words).subList(2, words.length), 5000).getCode());
            return;
        case "stop":
            client.destroy(true);
            System.exit(0);
        default:
            throw new IllegalArgumentException(words[0]);
        }
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> o = new HashMap<>();
        for (String a : args) {
            int i = a.indexOf('=');
            o.put(a.substring(0, i), a.substring(i + 1));
        }
        List<ObjectModel> models = new ArrayList<>(ObjectLoader.loadAllDefault());
        models.addAll(ObjectLoader.loadDdfResources("/models", new String[] { "3442.xml" }));
        Device device = new Device();
        LeshanClient client = make(o, device, models);
        client.addObserver(new Events());
        client.start();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine())
            obey(client, device, line.split(" "));
        client.destroy(false);
        System.exit(0);
    }
}
