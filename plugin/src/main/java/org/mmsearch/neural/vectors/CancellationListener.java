package org.mmsearch.neural.vectors;

import org.opensearch.common.inject.Inject;
import org.opensearch.common.lifecycle.AbstractLifecycleComponent;
import org.opensearch.transport.TransportService;

/** Registers {@link RequestContext} with the node's task manager, which is available only by injection. */
public final class CancellationListener extends AbstractLifecycleComponent {

    private final TransportService transport;
    private final RequestContext context;

    /** Called by the injector. */
    @Inject
    public CancellationListener(TransportService transport, RequestContext context) {
        this.transport = transport;
        this.context = context;
    }

    @Override
    protected void doStart() {
        transport.getTaskManager().addTaskEventListeners(context);
    }

    @Override
    protected void doStop() {}

    @Override
    protected void doClose() {}
}
