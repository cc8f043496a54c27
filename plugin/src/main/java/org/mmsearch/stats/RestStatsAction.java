package org.mmsearch.stats;

import java.util.List;

import org.opensearch.core.rest.RestStatus;
import org.opensearch.rest.BaseRestHandler;
import org.opensearch.rest.BytesRestResponse;
import org.opensearch.rest.RestRequest;
import org.opensearch.rest.RestResponse;
import org.opensearch.rest.action.RestActions.NodesResponseRestListener;
import org.opensearch.rest.action.RestResponseListener;
import org.opensearch.transport.client.node.NodeClient;

import static org.opensearch.core.common.Strings.splitStringByCommaToArray;

/** Handles {@code GET _plugins/_mmsearch/stats[/NODE]}. Responds in JSON or, with {@code format=prometheus}, in Prometheus' text format. */
public final class RestStatsAction extends BaseRestHandler {

    private static final String TEXT = "text/plain; version=0.0.4; charset=utf-8";

    @Override
    public String getName() {
        return "mmsearch_stats";
    }

    @Override
    public List<Route> routes() {
        return List.of(
            new Route(RestRequest.Method.GET, "/_plugins/_mmsearch/stats"),
            new Route(RestRequest.Method.GET, "/_plugins/_mmsearch/stats/{node}")
        );
    }

    @Override
    protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
        StatsRequest stats = new StatsRequest(splitStringByCommaToArray(request.param("node")));
        String format = request.param("format", "json");
        return switch (format) {
            case "json" -> channel -> client.execute(StatsAction.INSTANCE, stats, new NodesResponseRestListener<>(channel));
            case "prometheus" -> channel -> client.execute(StatsAction.INSTANCE, stats, new RestResponseListener<>(channel) {
                @Override
                public RestResponse buildResponse(StatsResponse response) {
                    return new BytesRestResponse(RestStatus.OK, TEXT, PrometheusText.of(response));
                }
            });
            default -> throw new IllegalArgumentException("[format] must be json or prometheus, got [" + format + "]");
        };
    }
}
