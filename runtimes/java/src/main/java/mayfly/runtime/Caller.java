package mayfly.runtime;

import com.amazonaws.services.lambda.runtime.Client;
import com.amazonaws.services.lambda.runtime.ClientContext;
import java.util.HashMap;
import java.util.Map;

/** The client context: what the caller says of itself. */
final class Caller implements ClientContext, Client {
    private final Map<?, ?> client;
    private final Map<String, String> custom;
    private final Map<String, String> environment;

    private Caller(Map<?, ?> sent) {
        Object said = sent.get("client");
        client = said instanceof Map ? (Map<?, ?>) said : null;
        custom = strings(sent.get("custom"));
        environment = strings(sent.get("env"));
    }

    /** The client context of a JSON text; none if the text holds no object. */
    static Caller of(String text) {
        Object sent = Json.parse(text);
        return sent instanceof Map ? new Caller((Map<?, ?>) sent) : null;
    }

    private static Map<String, String> strings(Object sent) {
        if (!(sent instanceof Map)) {
            return null;
        }
        Map<String, String> strings = new HashMap<>();
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) sent).entrySet()) {
            strings.put((String) entry.getKey(), entry.getValue() == null ? null : entry.getValue().toString());
        }
        return strings;
    }

    @Override
    public Client getClient() {
        return client == null ? null : this;
    }

    @Override
    public Map<String, String> getCustom() {
        return custom;
    }

    @Override
    public Map<String, String> getEnvironment() {
        return environment;
    }

    @Override
    public String getInstallationId() {
        return said("installation_id");
    }

    @Override
    public String getAppTitle() {
        return said("app_title");
    }

    @Override
    public String getAppVersionName() {
        return said("app_version_name");
    }

    @Override
    public String getAppVersionCode() {
        return said("app_version_code");
    }

    @Override
    public String getAppPackageName() {
        return said("app_package_name");
    }

    private String said(String name) {
        Object value = client.get(name);
        return value == null ? null : value.toString();
    }
}
