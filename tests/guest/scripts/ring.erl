%% Messages around a ring, a socket, a table that processes write at once, another program, timers.
-module(ring).
-export([main/0]).

loop(Next, Parent) ->
    receive
        {message, 0} -> Parent ! done;
        {message, K} -> Next ! {message, K - 1}, loop(Next, Parent)
    end.

ring(N, Messages) ->
    Self = self(),
    Ps = [spawn(fun() -> receive {next, Next} -> loop(Next, Self) end end) || _ <- lists:seq(1, N)],
    [P ! {next, Next} || {P, Next} <- lists:zip(Ps, tl(Ps) ++ [hd(Ps)])],
    hd(Ps) ! {message, Messages},
    receive done -> io:format("ring~n") end.

socket() ->
    {ok, L} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(L),
    spawn(fun() -> {ok, A} = gen_tcp:accept(L), gen_tcp:send(A, "hello"), gen_tcp:close(A) end),
    {ok, C} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, true}]),
    receive {tcp, C, Data} -> io:format("~s~n", [Data]) end.

table() ->
    T = ets:new(t, [public, {write_concurrency, true}]),
    Count = fun() -> [ets:update_counter(T, k, 1, {k, 0}) || _ <- lists:seq(1, 200)] end,
    Ws = [spawn_monitor(Count) || _ <- lists:seq(1, 8)],
    [receive {'DOWN', R, _, _, _} -> ok end || {_, R} <- Ws],
    io:format("~p~n", [ets:lookup(T, k)]).

main() ->
    ring(50, 5000),
    socket(),
    table(),
    io:format("~s", [os:cmd("echo other")]),
    timer:sleep(50),
    receive after 100 -> ok end,
    halt(0).
