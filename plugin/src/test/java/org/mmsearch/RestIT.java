package org.mmsearch;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;

import org.apache.hc.core5.http.ParseException;
import org.apache.hc.core5.http.io.entity.EntityUtils;
import org.opensearch.client.Request;
import org.opensearch.client.Response;
import org.opensearch.client.ResponseException;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.index.reindex.ReindexModulePlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.transport.Netty4ModulePlugin;

/** Base class of tests over HTTP. */
public abstract class RestIT extends MmsearchIT {

    @Override
    protected boolean addMockHttpTransport() {
        return false;
    }

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        List<Class<? extends Plugin>> plugins = new ArrayList<>(super.nodePlugins());
        plugins.add(Netty4ModulePlugin.class);
        plugins.add(ReindexModulePlugin.class);
        return plugins;
    }

    @Override
    protected Settings nodeSettings(int ordinal) {
        return Settings.builder().put(super.nodeSettings(ordinal)).put("http.type", "netty4").build();
    }

    /** Returns the response body. Throws {@link ResponseException} for a status of 400 and above. */
    protected static String send(String method, String path, String body) throws IOException {
        Request request = new Request(method, path);
        if (body != null) {
            request.setJsonEntity(body);
        }
        return text(getRestClient().performRequest(request));
    }

    /** Returns the parsed response. */
    protected static Map<String, Object> answer(String method, String path, String body) throws IOException {
        return XContentHelper.convertToMap(JsonXContent.jsonXContent, send(method, path, body), false);
    }

    /** Returns the body of a response that must have this status. */
    protected static String refused(int status, String method, String path, String body) throws IOException {
        ResponseException refused = expectThrows(ResponseException.class, () -> send(method, path, body));
        String said = text(refused.getResponse());
        assertEquals(said, status, refused.getResponse().getStatusLine().getStatusCode());
        return said;
    }

    /** Returns the {@code _id}s of the hits, in order. */
    protected static List<String> found(String path, String body) throws IOException {
        return hits(answer("POST", path, body)).stream().map(hit -> (String) hit.get("_id")).toList();
    }

    /** Returns the hits of a search response. */
    @SuppressWarnings("unchecked")
    protected static List<Map<String, Object>> hits(Map<String, Object> answer) {
        return (List<Map<String, Object>>) ((Map<String, Object>) answer.get("hits")).get("hits");
    }

    private static String text(Response response) throws IOException {
        try {
            return EntityUtils.toString(response.getEntity());
        } catch (ParseException e) {
            throw new IOException(e);
        }
    }
}
