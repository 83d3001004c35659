"""A profile as the compiler writes it, of one core: 1000 cycles, 0.5 ms."""

PROFILE = """\
--------------------------------------
s: start time, b: bd_id, g: gdma_id, e: end time, t: cmd cost time, dr: direction, sz: memsize, bw: bandwidth
--------------------------------------
ENGINE_BD                                          ENGINE_GDMA
|BD_SWR|s:0|b:1|g:0|e:-1|t:0
                                                   Load_2|GDMA_TENSOR|s:0|b:1|g:1|e:99|t:100|dr:0|sz:4096|bw:15.13
Conv2D_3|LANE_BC|s:100|b:2|g:1|e:399|t:300         Load_2|GDMA_TENSOR|s:100|b:1|g:2|e:149|t:50|dr:0|sz:768|bw:2.04
Conv2D_3|PorD|s:400|b:3|g:2|e:499|t:100
                                                   Store_4|GDMA_TENSOR|s:500|b:3|g:3|e:999|t:500|dr:1|sz:80|bw:0.1
--------------------------------------
API_END total_cycle:1000|b:3|g:3
TCYC : 1000. (bdc_cycle:400, gdma_cycle:650)
GDMA SUMMARY : |dr[0] S2L:4864|dr[1] L2S:80|dr[2] S2S:0|dr[3] L2L:0
DDR DATASIZE(MB) : 0.1
DDR BW USAGE : 1.5%
#######################################


flops: 2000, runtime: 0.5ms, ComputationAbility: 0.1T
"""
